"""Runs as files and at addresses: sent, and taken in after every byte of them was checked."""
