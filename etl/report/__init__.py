"""`etl report`: one page of HTML that needs nothing else, made of the store's views.

figures     what stands on the page, as plain values
read        the store -> figures: SQL that returns aggregates only
charts      figures -> drawings
page        figures and drawings -> HTML; every text of the data is escaped, no script runs
publish     the page as a file, whole or not at all
"""
