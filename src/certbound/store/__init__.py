"""SQL and nothing else: the only room that imports SQLAlchemy and Alembic.

Owns the tables, the statements, the unit of work (one transaction, retried where the database asks for it) and the
migrations, on SQLite and on PostgreSQL. It decides nothing: what a secret's hash is, how audit rows are chained, what
has expired and what is announced to other workers is `authority`'s, which calls these functions inside one unit.
"""
