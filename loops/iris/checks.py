"""What a florist knows of a delivery, and of a model: florist.yaml asks it of each drop, and in the gate."""

from scipy import stats


def petals(reference, current):
    """With a p-value, which the loop tests: does it hold where nothing has changed?"""
    p = stats.mannwhitneyu(reference["petal_length"].dropna(), current["petal_length"].dropna()).pvalue
    return {"severity": "drift", "text": "petals are longer or shorter than they were", "p_value": p}


def giants(reference, current):
    """An opinion: no iris has petals of ten centimetres, so somebody measured in millimetres."""
    found = int((current["petal_length"] > 10).sum())
    text = f"{found} flowers have petals above 10 cm"
    return {"severity": "drift" if found > 3 else "warning" if found else "info", "text": text}


def promises(reference, current):
    """Of the gate: a customer who asked for the small iris must not get the large one more often than before."""
    small = current["species"] == "setosa"
    before, now = ((side.loc[small, "prediction"] == "virginica").sum() for side in (reference, current))
    text = f"{now} of {small.sum()} setosa are taken for virginica ({before} by the champion)"
    return {"severity": "drift" if now > before else "info", "text": text}
