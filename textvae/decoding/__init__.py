"""Token ids from latents: what chooses the next token, and the loop that writes."""

from textvae.decoding.decoder import BEGIN, END, FREE, PAD, ROWS, UNKNOWN, Decoder, Steering
from textvae.decoding.samplers import SAMPLERS, TRIES, Sampling

__all__ = ["BEGIN", "END", "FREE", "PAD", "ROWS", "SAMPLERS", "TRIES", "UNKNOWN", "Decoder", "Sampling", "Steering"]
