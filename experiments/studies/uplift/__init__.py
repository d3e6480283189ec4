"""Does mixing beat picking? Campaigns with mixing beside the same campaigns on stored texts alone, in drawn worlds."""
