-- The role of this session.
select current_user::text
