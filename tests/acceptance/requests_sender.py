"""Live requests to one endpoint until standard input ends; waits while the endpoint is not there yet."""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from azure.identity import DefaultAzureCredential

BIRD = {
    "island": "Dream",
    "bill_length_mm": 46.5,
    "bill_depth_mm": 17.9,
    "flipper_length_mm": 192.0,
    "body_mass_g": 3500.0,
    "sex": "female",
}
ISLANDS = ["Biscoe", "Dream", "Torgersen"]
PARTS = [0.45, 0.45, 0.1]


def send(endpoint: str, at_once: str = "1") -> None:
    """Requests by so many clients at once, each with little rest; birds of three islands, few of the third."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    token = DefaultAzureCredential().get_token("https://ml.azure.com/.default").token
    address = f"{os.environ['IDENTITY_ENDPOINT'].partition('/msi/')[0]}/endpoints/{endpoint}/score"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with ThreadPoolExecutor(int(at_once)) as pool:
        list(pool.map(lambda n: _client(n, address, headers, ended), range(int(at_once))))


def _client(seed: int, address: str, headers: dict[str, str], ended: threading.Event) -> None:
    chance = random.Random(seed)
    with requests.Session() as session:
        while not ended.is_set():
            bird = BIRD | {"island": chance.choices(ISLANDS, PARTS)[0]}
            table = {"columns": list(bird), "index": [0], "data": [list(bird.values())]}
            body = json.dumps({"input_data": table})
            try:
                missing = session.post(address, data=body, headers=headers, timeout=30).status_code == 404
            except requests.RequestException:
                missing = True
            ended.wait(0.5 if missing else 0.02)
