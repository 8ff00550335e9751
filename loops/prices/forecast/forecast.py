"""Forecasts closing prices from log returns: the last price, carried on by a part of the mean return.

A plain model on purpose: daily returns hold little that can be foreseen, and a model that claims more loses at
the gate. What matters is that it is tested on days after those that it was fitted on.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

SERVING = [
    f"mlflow=={version('mlflow-skinny')}",
    "azureml-inference-server-http==1.5.1",
    "azureml-ai-monitoring==1.0.0",  # imported by the scoring script that Azure ML generates
]


class Forecaster(mlflow.pyfunc.PythonModel):
    def __init__(self, series):
        self.series = series  # share -> (day, log price, log return a day)

    def predict(self, context, model_input, params=None):
        days = pd.to_datetime(model_input["date"], utc=True).dt.date
        asked = zip(model_input["share"], days, strict=True)
        return [self.forecast(share, day) for share, day in asked]

    def forecast(self, share, day):
        last, level, slope = self.series[share]
        return float(np.exp(level + slope * np.busday_count(last, day)))


def fit(prices, trust):
    series = {}
    for share, rows in prices.sort_values("date").groupby("share"):
        logs = np.log(rows["close"].to_numpy())
        slope = float(np.diff(logs).mean() * trust) if len(logs) > 1 else 0.0
        series[str(share)] = (rows["date"].iloc[-1].date(), float(logs[-1]), slope)
    return Forecaster(series)


def mape(model, prices):
    asked = pd.DataFrame({"share": prices["share"], "date": prices["date"].astype(str)})
    return float((np.abs(model.predict(None, asked) - prices["close"]) / prices["close"]).mean())


def main(training_data: Path, trust: float, model: Path) -> None:
    parts = [pd.read_parquet(part) for part in sorted(training_data.rglob("*.parquet"))]
    prices = pd.concat(parts, ignore_index=True).dropna(subset=["close"])
    prices["date"] = pd.to_datetime(prices["date"], utc=True)
    days = np.sort(prices["date"].unique())
    cut = days[int(len(days) * 0.8)]
    past, future = prices[prices["date"] < cut], prices[prices["date"] >= cut]
    tested = {"mape": mape(fit(past, trust), future), "mape_naive": mape(fit(past, 0.0), future)}
    mlflow.log_metrics({**tested, "rows": len(prices)})
    mlflow.log_param("trust", trust)
    forecaster = fit(prices, trust)
    example = pd.DataFrame({"share": prices["share"], "date": prices["date"].astype(str)}).head()
    mlflow.pyfunc.save_model(
        str(model / "saved"),
        python_model=forecaster,
        signature=infer_signature(example, forecaster.predict(None, example)),
        pip_requirements=[f"{name}=={version(name)}" for name in ("pandas", "numpy", "cloudpickle")]
        + SERVING,
    )
    for file in (model / "saved").iterdir():  # save_model wants a folder that is not there yet
        file.rename(model / file.name)
    (model / "saved").rmdir()
    print(f"{len(prices)} rows to {days[-1]}, {tested}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
