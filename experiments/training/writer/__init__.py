"""Training a pretrained language model to write from summary vectors; `copyloom train writer` is the door."""
