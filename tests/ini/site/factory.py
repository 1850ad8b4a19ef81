from app import application


def create_app():
    return application
