"""What Django REST framework and Django Ninja serve."""

from datetime import timedelta

from ninja import NinjaAPI
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from sojourn.django import logout
from sojourn.django.ninja import SojournAuth
from sojourn.django.rest_framework import SojournAuthentication, needs


class Notes(APIView):
    """Reading needs somebody; writing needs a scope and a recent sign-in."""

    authentication_classes = (SojournAuthentication,)

    def get_permissions(self):
        if self.request.method == "POST":
            return [needs(scopes={"notes"}, max_age=timedelta(minutes=5))()]
        return [IsAuthenticated()]

    def get(self, request):
        return Response({"user": request.user.get_username(), "by": type(request.auth).__name__})

    def post(self, request):
        return Response({"subject": request.auth.subject}, status=201)

    def delete(self, request):
        logout(request)
        return Response(status=204)


api = NinjaAPI()


@api.get("/notes", auth=SojournAuth())
def read_notes(request):
    """Somebody."""
    return {"subject": request.auth.subject, "user": request.user.get_username()}


@api.post("/notes", auth=SojournAuth(scopes={"notes"}))
def write_note(request):
    """Somebody with a scope."""
    return {"subject": request.auth.subject}
