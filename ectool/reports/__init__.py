"""Reports from results in memory.

`page/` makes the page, `report.json` and `strip.png`. `paper/` makes figures and tables for papers.
The modules here are used by both: the content of a report, and numbers as text.

- A new section of the page: a template in `page/templates/sections/` and a row of `SECTIONS` in
  `page/sections.py`.
- A new figure: a function in `paper/` and a row of `FIGURES` in `paper/figures.py`.
- A new table: a function in `paper/` and a row of `TABLES` in `paper/tables.py`.
"""
