"""Tensors of the Open Inference Protocol."""
