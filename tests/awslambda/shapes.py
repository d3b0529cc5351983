"""Events in the shapes that AWS documents, with what a test puts into them."""

from __future__ import annotations

ARN = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5"


def token_event(authorization, *, method="GET", path="orders"):
    """A REST API asks a TOKEN authorizer."""
    return {
        "type": "TOKEN",
        "methodArn": f"{ARN}/prod/{method}/{path}",
        "authorizationToken": authorization,
    }


def _context_1(method, path):
    return {
        "accountId": "123456789012",
        "apiId": "a1b2c3d4e5",
        "httpMethod": method,
        "identity": {"sourceIp": "192.0.2.7", "userAgent": "Tester/1", "caller": None},
        "path": f"/prod{path}",
        "protocol": "HTTP/1.1",
        "resourcePath": path,
        "stage": "prod",
    }


def rest_event(*, method="GET", path="/orders", **headers):
    """A REST API's proxy event (payload 1.0): each header twice, as one value and as a list."""
    many = {name: value if isinstance(value, list) else [value] for name, value in headers.items()}
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in many.items()},
        "multiValueHeaders": many,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": _context_1(method, path),
        "body": None,
        "isBase64Encoded": False,
    }


def request_event(*, method="GET", path="/orders", **headers):
    """A REST API asks a REQUEST authorizer."""
    event = rest_event(method=method, path=path, **headers)
    del event["body"], event["isBase64Encoded"]
    return {"type": "REQUEST", "methodArn": f"{ARN}/prod/{method}{path}", **event}


def websocket_event(**headers):
    """A WebSocket API asks at `$connect`."""
    return {
        "type": "REQUEST",
        "methodArn": f"{ARN}/prod/$connect",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {
            "routeKey": "$connect",
            "eventType": "CONNECT",
            "connectionId": "Ab1CdEfGhIjKlMn=",
            "identity": {"sourceIp": "192.0.2.7"},
            "stage": "prod",
        },
    }


def http_event(*, method="GET", path="/orders", cookies=(), **headers):
    """An HTTP API's event, and a function URL's (payload 2.0): names in lower case, cookies apart."""
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "Tester/1",
            },
            "routeKey": f"{method} {path}",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = list(cookies)
    return event


def http_authorizer_event(*, method="GET", path="/orders", cookies=(), **headers):
    """An HTTP API asks an authorizer with payload 2.0."""
    event = http_event(method=method, path=path, cookies=cookies, **headers)
    return {
        "type": "REQUEST",
        "routeArn": f"{ARN}/$default/{method}{path}",
        "identitySource": [headers.get("Authorization", "")],
        **event,
    }


def balancer_event(*, method="GET", **headers):
    """An application load balancer's event."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu:1:tg/a/b"}},
        "httpMethod": method,
        "path": "/orders",
        "headers": {name.lower(): value for name, value in headers.items()},
        "body": "",
        "isBase64Encoded": False,
    }
