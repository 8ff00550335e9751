"""What a wrong ring does to a bird: warden.yaml judges by it."""


def harm(truth, predictions, rows, weights, costs):
    """One number a row: what the table says of the wrong ring, more for a heavy bird, which wears it harder."""
    return costs * rows["body_mass_g"].fillna(4200).clip(2500, 6500) / 4200
