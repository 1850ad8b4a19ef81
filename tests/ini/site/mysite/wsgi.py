from app import application

__all__ = ['application']
