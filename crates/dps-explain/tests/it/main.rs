//! What the room is seen by from outside: the page of causes.

mod causes_page;
