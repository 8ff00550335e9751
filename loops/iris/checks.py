"""What a florist knows of a delivery: florist.yaml asks it of each drop."""

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
