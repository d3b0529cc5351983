"""The project's paths."""

import interfaces
import views
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("auth/", include("sojourn.django.urls")),
    path("drf/notes", interfaces.Notes.as_view()),
    path("ninja/", interfaces.api.urls),
    path("login", LoginView.as_view()),
    path("logout", LogoutView.as_view()),
    path("password", PasswordChangeView.as_view(success_url="/me")),
    path("me", views.me),
    path("asynchronous-me", views.asynchronous_me),
    path("private", views.private),
    path("editors", views.editors),
    path("notes", views.notes),
    path("guarded", views.Guarded.as_view()),
    path("basket", views.basket),
    path("data", views.data),
    path("sign-in", views.sign_in),
    path("sign-in-non-atomic", views.sign_in_non_atomic),
    path("sign-in-inactive", views.sign_in_inactive),
    path("asynchronous-sign-in", views.asynchronous_sign_in),
    path("do/<str:name>", views.verb),
    path("by-backend", views.by_backend),
    path("fail", views.fail),
    path("expire", views.expire),
    path("end-own", views.end_own),
    path("empty", views.empty),
    path("plain", views.plain),
    path("says-itself", views.says_itself),
    path("cached", views.cached),
    path("asynchronous-guarded", views.asynchronous_guarded),
    path("refresh-bearer", views.refresh_bearer),
    path("new-key", views.new_key),
]
