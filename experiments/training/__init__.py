"""Trainings of models that the package ships; their commands alone import them."""
