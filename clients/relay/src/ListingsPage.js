// The queries of a Relay application: a page of listings that loads more, and a
// card that refetches its object by nodeId.
import { graphql } from 'relay-runtime'

export const page = graphql`
  query ListingsPageQuery($first: Int!, $after: String, $filter: ListingFilter) {
    ...ListingsPage_list @arguments(first: $first, after: $after, filter: $filter)
  }
`

export const list = graphql`
  fragment ListingsPage_list on Query
  @refetchable(queryName: "ListingsPagePaginationQuery")
  @argumentDefinitions(first: {type: "Int", defaultValue: 10}, after: {type: "String"}, filter: {type: "ListingFilter"}) {
    listingsConnection(first: $first, after: $after, filter: $filter) @connection(key: "ListingsPage_listingsConnection") {
      edges { node { nodeId ...ListingsPage_card } }
    }
  }
`

export const card = graphql`
  fragment ListingsPage_card on Listing @refetchable(queryName: "ListingsPageCardQuery") {
    id
    listingType
    price
    user { name }
  }
`

export const create = graphql`
  mutation ListingsPageCreateMutation($input: CreateListingInput!, $connections: [ID!]!) {
    createListing(input: $input) {
      listing @prependNode(connections: $connections, edgeTypeName: "ListingEdge") { ...ListingsPage_card }
    }
  }
`

export const news = graphql`
  subscription ListingsPageNewsSubscription($after: String) {
    listingCreated(after: $after) { cursor listing { ...ListingsPage_card } }
  }
`
