"""What goes wrong, as a test sees it: an SDK's error with all that its user can see, and a failed expectation."""


class SdkError(Exception):
    """An error that an SDK handed to its user.

    `name` is its class, `message` its text, `cause` the text of the error below it (Python),
    `result` the body of the answer where the SDK keeps it (Node), `status` an HTTP status.
    """

    def __init__(self, name, message="", cause=None, result=None, status=None, headers=None):
        super().__init__(f"{name}: {message}" + (f" <- {cause}" if cause else ""))
        self.name = name
        self.message = message
        self.cause = cause
        self.result = result
        self.status = status
        self.headers = headers or {}


class Unexpected(AssertionError):
    """An expectation that did not hold."""


def expect(value, wanted, what):
    """The value is the wanted one."""
    if value != wanted:
        raise Unexpected(f"{what}: {value!r}, expected {wanted!r}")


def expect_that(condition, what):
    """The condition holds."""
    if not condition:
        raise Unexpected(what)


def expect_member(value, wanted, what):
    """The value is one of the wanted ones."""
    if value not in wanted:
        raise Unexpected(f"{what}: {value!r}, expected one of {wanted!r}")


def refusal(name, call, *arguments, **keywords):
    """The `SdkError` of a call that has to fail with an error of that class."""
    try:
        value = call(*arguments, **keywords)
    except SdkError as error:
        if name is not None:
            expect(error.name, name, f"class of the error {error}")
        return error
    raise Unexpected(f"succeeded with {value!r}, expected {name or 'an error'}")
