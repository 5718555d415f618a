"""Scrape as Prometheus does, without a network."""

from collections.abc import Sequence

import httpx2
from starlette.routing import BaseRoute

from certbound.web.faces import application


async def scrape(routes: Sequence[BaseRoute]) -> httpx2.Response:
    transport = httpx2.ASGITransport(application(routes))
    async with httpx2.AsyncClient(transport=transport, base_url="https://as.example") as client:
        return await client.get("/metrics")


async def scraped(routes: Sequence[BaseRoute]) -> str:
    answer = await scrape(routes)
    assert answer.status_code == 200
    return answer.text
