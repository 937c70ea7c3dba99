"""What administrators do, by way of the admin API or the command line.

Each act is one transaction with its entry in the audit log. What is shown of a thing, to whomever,
is its view: the same in answers, on the command line and in the audit log, and never with secrets.
"""
