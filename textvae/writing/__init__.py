"""Texts written with a trained run: variations, samples, gaps filled, posts and tables; and what they must meet."""
