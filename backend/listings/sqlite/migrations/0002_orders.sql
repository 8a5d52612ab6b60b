-- With those of 0001, an index for each order: over all, of one user, of one
-- type. All end with the row's id without being told.
CREATE INDEX listings_by_type ON listings (listing_type, created_at);
CREATE INDEX listings_by_price ON listings (price);
CREATE INDEX listings_by_user_price ON listings (user_id, price);
CREATE INDEX listings_by_type_price ON listings (listing_type, price);
