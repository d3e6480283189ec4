"""Kills services and workers under traffic, and proves from what clients were told that nothing is lost.

``python -m experiments.benchmarks.kills --kills 200 --database shop.db``; read `driver` first.
"""
