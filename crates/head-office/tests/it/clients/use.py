"""Imports every module of the client; prints how many operations of the document it has."""

import importlib
import json
import pkgutil
import sys

import counterfoil_api

names = [module.name for module in pkgutil.walk_packages(counterfoil_api.__path__, "counterfoil_api.")]
modules = {name: importlib.import_module(name) for name in names}

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
count = 0
for path in document["paths"].values():
    for operation in path.values():
        name = f"counterfoil_api.api.{operation['tags'][0]}.{operation['operationId']}"
        assert callable(modules[name].sync_detailed), name
        count += 1

from counterfoil_api.models import Basket

basket = {"currency": "CNY", "at": "2026-11-11T12:00:00+08:00", "lines": []}
assert Basket.from_dict(basket).to_dict() == basket
print(count)
