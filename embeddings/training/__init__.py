"""Training an adapter for any language model; `embeddings.training.train.train_adapter` is the door."""
