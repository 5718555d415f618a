"""GET and POST /oauth2/userinfo: the user, for whoever holds her access token (OpenID Connect Core section 5.3)."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from certbound.authority.tokens.userinfo import SCOPE, UserInfo
from certbound.oauth.errors import OAuthError
from certbound.resource.bearer import bearer_token, refusal_answer
from certbound.resource.verifier import TokenRefused
from certbound.store.engine import StoreUnavailable
from certbound.web.oauth.answers import answer, refusal, unavailable
from certbound.web.presented import presented_chain

log = logging.getLogger(__name__)

METHODS = ["GET", "POST"]
_REALM = "certbound"


class UserInfoEndpoint:
    """Takes the token from the Authorization header, whatever the method: no body and no query is read."""

    def __init__(self, userinfo: UserInfo) -> None:
        self._userinfo = userinfo

    async def ask(self, request: Request) -> Response:
        """Answer with the claims, or with the challenge that RFC 6750 section 3 demands."""
        try:
            token = bearer_token(request.headers.raw)
            return answer(await self._userinfo.answer(token, presented_chain(request.scope)))
        except TokenRefused as refused:
            return _challenge(refused)
        except OAuthError as error:
            if error.detail:
                address = request.client.host if request.client else None
                log.info("request refused", extra={"error": error.error, "detail": error.detail, "address": address})
            if error.error not in {"invalid_token", "insufficient_scope"}:
                return refusal(error)
            needed = SCOPE if error.error == "insufficient_scope" else ""
            return _challenge(TokenRefused(error.error, error.description, error.status, scope=needed))
        except StoreUnavailable as error:
            log.error("request not answered", extra={"reason": str(error)})
            return unavailable()


def _challenge(refused: TokenRefused) -> Response:
    made = refusal_answer(refused, _REALM)
    response = Response(made.body, made.status)
    response.raw_headers = made.headers
    return response
