"""How much is there of everything: for somebody who looks at the server as a whole."""

from dataclasses import dataclass

from sqlalchemy import func, select

from certbound.store.engine import Connection
from certbound.store.schema import client, person, trust_certificate, trust_store


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of rows; the disabled ones and the operators are among the others."""

    clients: int
    disabled_clients: int
    trust_stores: int
    trust_certificates: int
    users: int
    operators: int


_COUNTS = select(
    select(func.count()).select_from(client).scalar_subquery(),
    select(func.count()).select_from(client).where(client.c.disabled).scalar_subquery(),
    select(func.count()).select_from(trust_store).scalar_subquery(),
    select(func.count()).select_from(trust_certificate).scalar_subquery(),
    select(func.count()).select_from(person).scalar_subquery(),
    select(func.count()).select_from(person).where(person.c.operator).scalar_subquery(),
)


def read(connection: Connection) -> Counts:
    """Count, in one statement."""
    return Counts(*connection.execute(_COUNTS).one())
