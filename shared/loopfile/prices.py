"""What an hour of a machine costs: the loop file's own price, else this table's.

List prices of East US, Linux, pay as you go. Jobs, serverless compute and online endpoints are billed as the machines
that they use; Azure Machine Learning adds nothing: https://azure.microsoft.com/pricing/details/machine-learning
Read on 2026-11-29 from SkyPilot's copy of the Azure retail prices API (https://github.com/skypilot-org/skypilot-catalog,
catalogs/v6/azure/vms.csv, eastus, at 098741e); https://prices.azure.com/api/retail/prices has what holds today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.loopfile.definition import Cost

CURRENCY = "USD"
AN_HOUR: Mapping[str, float] = {
    "Standard_DS1_v2": 0.073,
    "Standard_DS2_v2": 0.146,
    "Standard_DS3_v2": 0.293,
    "Standard_DS4_v2": 0.585,
    "Standard_DS5_v2": 1.17,
    "Standard_DS12_v2": 0.371,
    "Standard_DS13_v2": 0.741,
    "Standard_DS14_v2": 1.482,
    "Standard_DS15_v2": 1.853,
    "Standard_E8s_v3": 0.504,
    "Standard_E32s_v3": 2.016,
    "Standard_NC4as_T4_v3": 0.526,
    "Standard_NC8as_T4_v3": 0.752,
    "Standard_NC16as_T4_v3": 1.204,
    "Standard_NC64as_T4_v3": 4.352,
    "Standard_NC6s_v3": 3.06,
    "Standard_NC12s_v3": 6.12,
    "Standard_NC24s_v3": 12.24,
    "Standard_NC24ads_A100_v4": 3.673,
    "Standard_NC48ads_A100_v4": 7.346,
    "Standard_NC96ads_A100_v4": 14.692,
    "Standard_NC40ads_H100_v5": 6.98,
}


def price(cost: Cost, size: str) -> float | None:
    """Of an hour of one machine of this size, in the loop's currency; None when nobody says. Azure does not tell sizes
    apart by case, and answers in capitals."""
    for table in (cost.prices, AN_HOUR if cost.currency == CURRENCY else {}):
        for name, an_hour in table.items():
            if name.casefold() == size.casefold():
                return an_hour
    return None
