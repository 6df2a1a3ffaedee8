{{ parsed_events(source('external', 'users_ext')) }}
