"""What a point of the space means: what it says, how sure that is, and what lies around it."""
