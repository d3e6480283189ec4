"""Maps: texts on a plane, with what is lost by that stated, and neighbours from the space that was flattened."""
