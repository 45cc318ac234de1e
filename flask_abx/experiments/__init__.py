"""What is tested: the model of experiments and the documents that define them."""
