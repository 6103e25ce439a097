"""`etl report`: one page of HTML that needs nothing else, made of the store's views.

figures     what stands on the page, as plain values
questions   what is asked of the store: SQL that returns aggregates only
read        the store -> figures
charts      figures -> what is to be drawn
draw        -> drawings
tiles       the numbers at the head of the page
page        figures and drawings -> HTML; every text of the data is escaped, no script runs
publish     the page as a file, whole or not at all
"""
