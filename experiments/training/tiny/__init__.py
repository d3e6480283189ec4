"""The training recipe of copyloom-tiny: texts, tokenizer, examples, training, model card."""
