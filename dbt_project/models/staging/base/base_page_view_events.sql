{{ parsed_events(source('external', 'page_view_events_ext')) }}
