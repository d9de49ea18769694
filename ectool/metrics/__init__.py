"""Per-sample measures of right, robust and object-centred, and how sure they are; numpy only."""
