def application(env, start_response:
    return []
