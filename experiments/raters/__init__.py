"""People judge texts without knowing who wrote them: sheets, what comes back, agreement and differences."""
