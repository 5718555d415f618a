"""One error for every refusal of the protocol: the RFC's code, a text for the client, a detail for the log.

OAuthError
├── invalid_request, invalid_scope, invalid_grant, unauthorized_client,   400  RFC 6749 section 5.2
│   unsupported_grant_type
├── access_denied, unsupported_response_type                              through the browser, RFC 6749 4.1.2.1
├── login_required, consent_required, interaction_required,               likewise, OpenID Connect Core 3.1.2.6
│   account_selection_required, request_not_supported,
│   request_uri_not_supported, invalid_request_object,
│   unmet_authentication_requirements
├── invalid_target                                                        400  RFC 8707 section 2
├── invalid_dpop_proof, use_dpop_nonce                                    400  RFC 9449 sections 5 and 8
├── invalid_client_metadata, invalid_redirect_uri,                        400  RFC 7591 section 3.2.2
│   invalid_software_statement, unapproved_software_statement
├── invalid_client                                                        401  RFC 6749 section 5.2
├── invalid_token                                                         401  RFC 6750 section 3.1
├── insufficient_scope                                                    403  likewise
└── temporarily_unavailable                                               503  with Retry-After
"""

_STATUS = {"invalid_client": 401, "invalid_token": 401, "insufficient_scope": 403, "temporarily_unavailable": 503}


class OAuthError(Exception):
    """A refusal that is the client's answer.

    `error` is the RFC's code and `description` what the client may know (printable ASCII without quote and backslash,
    RFC 6749 section 5.2); `detail` is for the log only. `status` is the HTTP status.
    """

    def __init__(self, error: str, description: str, *, detail: str = "") -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.detail = detail
        self.status = _STATUS.get(error, 400)
