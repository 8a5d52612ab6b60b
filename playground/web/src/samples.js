// Each sample opens in a tab of its own, so that Ctrl-Enter never has to ask
// which operation to run.
export const samples = [
  {
    query: `# A page of listings, each with the user who owns it.
# Run it with Ctrl-Enter; pageNum: 2 is the next page.
query Listings {
  listings(pageNum: 1, pageSize: 10) {
    id
    listingType
    # a whole number
    price
    # microseconds since 1970-01-01 UTC
    createdAt
    user {
      id
      name
    }
  }
}
`,
  },
  {
    query: `# A page of users, with up to three listings of each.
query Users {
  users(pageNum: 1, pageSize: 10) {
    id
    name
    listings(first: 3) {
      id
      listingType
      price
    }
  }
}
`,
  },
  {
    query: `# The listings of one user only. The id is a variable:
# change it in the Variables pane below.
query ListingsOfUser($userId: ID!) {
  listings(userId: $userId) {
    id
    listingType
    price
  }
}
`,
    variables: JSON.stringify({ userId: '1' }, null, 2),
  },
  {
    query: `# One listing and one user by id, in one request. An id
# that nothing has gives null, not an error.
query ById($listingId: ID!, $userId: ID!) {
  listing(id: $listingId) {
    listingType
    price
    user {
      name
    }
  }
  user(id: $userId) {
    name
    createdAt
  }
}
`,
    variables: JSON.stringify({ listingId: '1', userId: '1' }, null, 2),
  },
  {
    query: `# Creates a user and answers with the id it was given.
mutation CreateUser($input: CreateUserInput!) {
  createUser(input: $input) {
    user {
      id
      name
      createdAt
    }
  }
}
`,
    variables: JSON.stringify({ input: { name: 'Ada' } }, null, 2),
  },
  {
    query: `# Creates a listing for a user who is there already.
# listingType is RENT or SALE.
mutation CreateListing($input: CreateListingInput!) {
  createListing(input: $input) {
    listing {
      id
      listingType
      price
      user {
        name
      }
    }
  }
}
`,
    variables: JSON.stringify(
      { input: { userId: '1', listingType: 'RENT', price: 4000 } },
      null,
      2,
    ),
  },
];
