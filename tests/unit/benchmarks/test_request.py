import base64
import json

import jwt

from benchmarks.macro import request


def test_the_request_is_the_one_that_the_figures_are_quoted_for() -> None:
    assert len(request.FIELDS) == 9
    assert len(request.bearer_token()) == 560
    assert len(request.BODY) == 85
    json.loads(request.BODY)


def test_the_token_is_a_jwt_and_always_the_same() -> None:
    head, _, signature = request.bearer_token().split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"] == "RS256"
    assert len(signature) == 342
    claims = jwt.decode(
        request.bearer_token(),
        jwt.PyJWKSet.from_json(request.key_set())[request.KEY_ID],
        algorithms=["RS256"],
        audience=request.AUDIENCE,
        issuer=request.ISSUER,
    )
    assert claims["sub"] == "u_102"
    assert request.bearer_token() == request.bearer_token()
