"""Train variational autoencoders on your own blog or corpus, and write variations of its texts."""
