"""Trainings of models that the package ships; nothing that ships imports them."""
