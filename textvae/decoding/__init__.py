"""Token ids from latents: what chooses the next token, and the loop that writes."""

from textvae.decoding.decoder import BEGIN, END, FREE, ROWS, UNKNOWN, Decoder, Steering
from textvae.decoding.samplers import SAMPLERS, TRIES, Sampling
from textvae.decoding.streams import Random, Streams

__all__ = ["BEGIN", "END", "FREE", "ROWS", "SAMPLERS", "TRIES", "UNKNOWN", "Decoder", "Random", "Sampling",
           "Steering", "Streams"]
