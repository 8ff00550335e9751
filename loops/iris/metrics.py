"""What a florist earns by the model: florist.yaml judges by it."""

import numpy as np


def earned(truth, predictions, rows, weights):
    """One number a row, in euros: a flower that is named rightly sells for more the longer its petals are; one that
    is named wrongly comes back."""
    price = 1 + rows["petal_length"].clip(0, 7) / 7
    return np.where(truth == predictions, price, -1.0)
