"""The page: one HTML file with charts and images, and next to it `report.json` and `strip.png`."""
