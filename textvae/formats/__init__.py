"""A run in formats that other tools load: keras, SavedModel, ONNX, word2vec's text format, and a model card."""
