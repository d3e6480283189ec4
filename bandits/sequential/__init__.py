"""What may be concluded early: intervals, stopping and checks that hold at every look, and plans."""
